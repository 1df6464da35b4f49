-- What workers finish in a few minutes.
UPDATE public.processing_queue SET status = 'completed', flow_instance_id = 'rpa-9', claimed_at = now(), completed_at = now(), updated_at = now()
WHERE id IN (SELECT id FROM public.processing_queue WHERE status = 'pending' ORDER BY id LIMIT 60);
