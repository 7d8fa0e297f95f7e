"""What a team would write instead: servers and functions that the bench holds us against."""
