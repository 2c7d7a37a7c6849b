// Keeps a layer without sources a valid library.
