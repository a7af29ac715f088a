"""The highest rate that a target carries: searches, the trials that they ask for, the reports."""
