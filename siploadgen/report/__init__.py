"""Results: from figures to metrics, verdict, thresholds, summaries and files."""
