-- What the good backup was taken of: ten records, all completed once.
INSERT INTO processing_queue (id, flow_name, status, payload, flow_instance_id, created_at, claimed_at, completed_at, updated_at)
SELECT n, 'surveys', 'completed', jsonb_build_object('n', n), 'rpa-1', '2026-11-23T08:00:00Z', '2026-11-23T08:10:00Z', '2026-11-23T08:12:00Z', '2026-11-23T08:12:00Z'
FROM generate_series(1, 10) AS n;
