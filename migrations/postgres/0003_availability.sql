-- Changes of Cores and business services are few among all of history, and asked for together.
CREATE INDEX history_availability ON history (seq, ordinal)
    WHERE kind IN ('core_changed', 'business_changed', 'unwatched');
