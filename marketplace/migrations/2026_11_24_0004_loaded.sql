-- A demonstration whose loading broke off is told from one that is whole.
ALTER TABLE installation ADD COLUMN loaded_at timestamptz,
    ADD CHECK (loaded_at IS NULL OR demonstration);
UPDATE installation SET loaded_at = now() WHERE demonstration;
