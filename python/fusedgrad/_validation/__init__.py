"""What estimators accept: parameters, arrays, weights. Errors name the parameter or array, and its range."""
