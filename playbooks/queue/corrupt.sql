-- What became of the ten records of good.sql: two lost their time, one waits although it was completed, one is gone.
UPDATE processing_queue SET completed_at = NULL WHERE id IN (3, 4);
UPDATE processing_queue SET status = 'pending' WHERE id = 6;
DELETE FROM processing_queue WHERE id = 5;
