-- When a collector last heard a meter, beside how often: hearing maps and walks need it.
ALTER TABLE collector_hearing ADD last_heard_at timestamptz;
