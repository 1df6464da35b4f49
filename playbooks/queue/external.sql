-- 60 records failed on an external service; it answers again, nothing has failed for half an hour.
INSERT INTO processing_queue (id, flow_name, status, flow_instance_id, created_at, claimed_at, updated_at, retry_count, error_message)
SELECT n, 'orders', 'failed', 'rpa-1', now() - interval '2 hours', now() - interval '1 hour', now() - interval '5 minutes',
       CASE WHEN n <= 5 THEN 3 ELSE 1 END, 'HTTP 503: service unavailable'
FROM generate_series(1, 60) AS n;
