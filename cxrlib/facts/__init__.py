"""Published facts that the study compares itself with, as CSV files."""
