"""HTTP and nothing else: the JSON API, pages, sessions and problem documents.

A controller parses, authorises, makes one domain call and answers. No rule of the trade is here.
"""
