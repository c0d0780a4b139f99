"""Who is calling: one-time codes, bearer tokens, passwords and OAuth clients; and which person a resident is.

What is kept for minutes or hours (codes, sessions, used assertions) is in an ephemeral store, where losing it costs a
login; what must last (tills' and channels' tokens) is in the database. Invariants:

- neither place holds a token, a code or a password in clear: only a digest (the sandbox SMS sender apart);
- a code is good once, for five minutes and five tries; a used assertion is refused until it has expired;
- a demonstration token is good only in a database that was made by `demo`;
- whoever has a second factor signs in by no password alone; a code of an app, a recovery code and a passkey's challenge
  are good once; an app's secret is kept encrypted;
- nothing here tells a caller whether a phone or a login is known;
- an identity number is kept nowhere, only a keyed hash of it; a person has one account, an account at most one person;
- what happens to whose account it is has left a trail in the same transaction.
"""
