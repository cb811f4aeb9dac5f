//! What the tests of Guardhouse are judged by: the corpus, and oracles that property tests and fuzz targets share.
