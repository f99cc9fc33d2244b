// Scores by name.
#pragma once

namespace fg {

enum class Metric { accuracy, log_loss, roc_auc, r2, mse, rmse };

// What makes a prediction, or probabilities, of margins. The sigmoids and modified_huber's probabilities of several
// classes are divided by their sum (uniform where all are 0).
enum class Link { identity, exp, sigmoid, modified_huber, softmax };

}  // namespace fg
