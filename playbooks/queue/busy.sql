-- A queue on a bad day: 40 done, 60 failed, 12 orphans of two dead containers, 5 at work, 30 waiting.
INSERT INTO processing_queue (id, flow_name, status, payload, flow_instance_id, created_at, claimed_at, completed_at, updated_at)
SELECT n, 'surveys', 'completed', jsonb_build_object('n', n), 'rpa-1', now() - interval '40 minutes',
       now() - interval '22 minutes', now() - interval '20 minutes', now() - interval '20 minutes'
FROM generate_series(1, 40) AS n;
INSERT INTO processing_queue (id, flow_name, status, flow_instance_id, created_at, claimed_at, updated_at, retry_count, error_message)
SELECT 100 + n, 'orders', 'failed', 'rpa-1', now() - interval '40 minutes', now() - interval '22 minutes',
       now() - interval '20 minutes', CASE WHEN n <= 12 THEN 3 ELSE 1 END,
       CASE WHEN n <= 30 THEN 'HTTP 503: service unavailable'
            WHEN n <= 48 THEN 'insert violates foreign key constraint "orders_customer_fkey"'
            WHEN n <= 55 THEN 'TypeError: total is None'
            ELSE 'FATAL: remaining connection slots are reserved' END
FROM generate_series(1, 60) AS n;
INSERT INTO processing_queue (id, flow_name, status, flow_instance_id, created_at, claimed_at, updated_at)
SELECT 200 + n, 'surveys', 'processing', 'dead-' || n % 2, now() - interval '5 hours', now() - interval '3 hours', now() - interval '3 hours'
FROM generate_series(1, 12) AS n;
INSERT INTO processing_queue (id, flow_name, status, flow_instance_id, created_at, claimed_at, updated_at)
SELECT 300 + n, 'surveys', 'processing', 'rpa-2', now() - interval '1 hour', now() - interval '5 minutes', now() - interval '5 minutes'
FROM generate_series(1, 5) AS n;
INSERT INTO processing_queue (id, flow_name, created_at, updated_at)
SELECT 400 + n, 'surveys', now() - interval '30 minutes', now() - interval '30 minutes' FROM generate_series(1, 30) AS n;
