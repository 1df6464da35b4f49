-- 500 records wait, 6 were finished in the last hour.
INSERT INTO processing_queue (id, flow_name, created_at, updated_at)
SELECT n, CASE WHEN n % 2 = 0 THEN 'surveys' ELSE 'orders' END, now() - interval '3 hours', now() - interval '3 hours' FROM generate_series(1, 500) AS n;
INSERT INTO processing_queue (id, flow_name, status, created_at, claimed_at, completed_at, updated_at)
SELECT 1000 + n, CASE WHEN n > 4 THEN 'orders' ELSE 'surveys' END, 'completed', now() - interval '2 hours', now() - interval '30 minutes',
       now() - interval '18 minutes', now() - interval '18 minutes' FROM generate_series(1, 6) AS n;
