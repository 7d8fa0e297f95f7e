"""`make demo`: the whole story on a real cluster, told in one readable report."""
