"""What commands share: options, inputs, outputs, errors."""
