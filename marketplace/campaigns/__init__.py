"""Campaigns 活动: offers under one budget that several funders fill by shares, for a period.

- a campaign's shares are of the whole: 10,000 basis points together; once money came in they stand;
- the budget is one account of the ledger, which redemptions reserve and verifications spend. What is in it was paid in
  by all funders in their shares, to the fen (`shares`): what one paid that the others have not matched waits outside;
- a funder has paid the share of every discount that the shares say, to the fen, at every moment;
- the budget is never overdrawn: an offer whose face value is more than what is left is out of budget at once.
"""
