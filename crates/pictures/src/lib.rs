//! Pictures read, sized, painted: what every part of Limekiln does with pixels.
