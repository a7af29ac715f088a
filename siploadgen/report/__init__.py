"""What a run measured: names, percentiles, verdicts and the files that hold them."""
