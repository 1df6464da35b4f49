"""Who is on call: schedule files, iCal feeds, PagerDuty and Opsgenie."""
