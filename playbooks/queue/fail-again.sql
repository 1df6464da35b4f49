-- Whatever waits is tried, and fails again.
UPDATE public.processing_queue SET status = 'failed', flow_instance_id = 'rpa-9', claimed_at = now(), updated_at = now(),
  retry_count = retry_count + 1, error_message = 'HTTP 503: service unavailable' WHERE status = 'pending';
