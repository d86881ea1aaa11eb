"""Loading: states as training code reads them: by index, shuffled, in several processes; as tables and streams."""
