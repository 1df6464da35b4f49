-- Workers finish whatever waits.
UPDATE public.processing_queue SET status = 'completed', flow_instance_id = 'rpa-9', claimed_at = now(), completed_at = now(), updated_at = now()
WHERE status = 'pending';
