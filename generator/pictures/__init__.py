"""Pictures on disk and as bytes: files, thumbnails, contact sheets, uploads to draw from. Never imports torch."""
