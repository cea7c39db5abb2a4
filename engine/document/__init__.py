"""What rules look at: the exchange, the roots of the document, the dialects and streams of the wire."""
