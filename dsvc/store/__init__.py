"""Bytes: ids, codec, backends, packs, objects and the head."""
