"""Archive, restore, thaw: the app that moves results to Glacier and back. Its models arrive with that work."""
