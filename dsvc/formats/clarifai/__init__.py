"""Clarifai's two export formats: one mapping of records to messages, written as Protobuf or as JSON."""

from __future__ import annotations

from dsvc.formats.clarifai.exporter import JsonExporter, ProtobufExporter

__all__ = ["JsonExporter", "ProtobufExporter"]
