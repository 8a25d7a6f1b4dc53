-- The page of a file lists the channels that it told of; and a file that is deleted takes its
-- stretches along without a look at all of them.
CREATE INDEX imported_span_import ON imported_span (import_no);
