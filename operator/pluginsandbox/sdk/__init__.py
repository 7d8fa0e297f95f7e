"""What a plugin imports: Plugin, function, slot."""
