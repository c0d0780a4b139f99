-- What a batch of groups needs of the ledger.

-- Make the accounts that are missing, then lock the limited ones: in id order, both of them, so that no two callers can
-- deadlock. Statements of a function see what was committed while they waited.
CREATE FUNCTION ledger_open_and_lock(
    ids uuid[], assets text[], codes text[], owners uuid[], limits boolean[], others uuid[]
) RETURNS TABLE (
    id uuid, debits_pending bigint, debits_posted bigint, credits_pending bigint, credits_posted bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO ledger_account (id, asset, code, owner, limited)
    SELECT w.id, w.asset, w.code, w.owner, w.limited
    FROM unnest(ids, assets, codes, owners, limits) AS w (id, asset, code, owner, limited)
    WHERE NOT EXISTS (SELECT 1 FROM ledger_account k WHERE k.id = w.id)
    ORDER BY w.id
    ON CONFLICT DO NOTHING;

    RETURN QUERY
    SELECT a.id, a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted
    FROM ledger_account a
    WHERE a.id = ANY (ids || others) AND a.limited
    ORDER BY a.id
    FOR NO KEY UPDATE;
END $$;
