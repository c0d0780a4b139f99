"""Why it is worth it: methodologies, crediting, programmes, and the rules of eligibility.

Owns the activity records and what each was worth, and who is a member of which programme. Invariants: a record of a
channel pays once, for ever; grams are quantified exactly, rounded down, by the methodology version in force on the day
of the activity, and never computed again; where a methodology says so, a resident's valid records never overlap, and no
day earns more than its cap. Stands on marketplace, whose lots take the grams.
"""
