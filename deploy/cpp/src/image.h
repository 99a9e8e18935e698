// From files to the network's input, and from its output to labels: msseg/deploy/image_input.py
// and predictor.py do the same in Python.
#pragma once

#include <filesystem>

#include <opencv2/core.hpp>

#include "inputs.h"
#include "metadata.h"

namespace msseg {

struct Prepared {
  cv::Mat input;  // what the network takes, the axis of the batch included
  cv::Size size;  // the image's own
  cv::Mat no_data;  // (h, w), 255 for pixels without data; may be empty
};

// Reads an image and prepares it as the metadata say. Throws UnusableInput.
Prepared PrepareImage(const std::filesystem::path &path, const Metadata &metadata);

// Reads an input that tools/deploy/preprocess.py has prepared. Throws UnusableInput.
Prepared ReadPrepared(const Input &input, const Metadata &metadata);

// Returns the labels, CV_32S (h, w), that a network's output means for an image of this size.
// Throws std::runtime_error for an output that is not what the metadata say.
cv::Mat LabelsOf(const cv::Mat &output, const cv::Size &size, const Metadata &metadata);

}  // namespace msseg
