"""The pictures of the reports: each function returns a Matplotlib figure."""
