-- Two months of history: what is old enough to go, and what lies just short of it.
INSERT INTO processing_queue (id, flow_name, status, created_at, claimed_at, completed_at, updated_at)
SELECT n, 'surveys', 'completed', now() - interval '41 days', now() - interval '40 days', now() - interval '40 days' + interval '3 minutes', now()
FROM generate_series(1, 25) AS n;
INSERT INTO processing_queue (id, flow_name, status, created_at, claimed_at, completed_at, updated_at)
SELECT 100 + n, 'surveys', 'completed', now() - interval '29 days', now() - interval '29 days', now() - interval '29 days' + interval '2 minutes', now()
FROM generate_series(1, 30) AS n;
INSERT INTO processing_queue (id, flow_name, status, created_at, updated_at, retry_count, error_message)
SELECT 200 + n, 'orders', 'failed', now() - interval '20 days', now() - interval '8 days', CASE WHEN n <= 10 THEN 5 ELSE 4 END, 'TypeError: total is None'
FROM generate_series(1, 15) AS n;
INSERT INTO processing_queue (id, flow_name, status, created_at, updated_at, retry_count, error_message)
SELECT 300 + n, 'orders', 'failed', now() - interval '6 days', now() - interval '6 days', 7, 'TypeError: total is None'
FROM generate_series(1, 3) AS n;
