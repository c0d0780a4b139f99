-- Of a verified resident's birth date the year alone, from the real-name check: offers may be meant for an age band.
-- Who was verified before has none.
ALTER TABLE resident
    ADD COLUMN birth_year smallint CHECK (birth_year BETWEEN 1880 AND 2200),
    ADD CONSTRAINT resident_birth_year_is_a_persons CHECK (birth_year IS NULL OR person_hash IS NOT NULL);
