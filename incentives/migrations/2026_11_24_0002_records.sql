-- What counts is worth a gram at least; a record that ends before it began or has less than nothing was never read.
ALTER TABLE activity_record
    ADD CONSTRAINT activity_record_gains CHECK (outcome NOT IN ('credited', 'capped') OR amount_g > 0),
    ADD CONSTRAINT activity_record_period CHECK (ended_at >= started_at),
    ADD CONSTRAINT activity_record_quantity CHECK (quantity >= 0);

-- One index for overlap, for the grams of a day and for the resident's list: each costs a part of every record's intake.
CREATE INDEX activity_record_of_resident ON activity_record (resident, started_at, id);
DROP INDEX activity_record_resident;
DROP INDEX activity_record_day;
