"""`make bench`: what users wait for, ours and its peers side by side in one run."""
