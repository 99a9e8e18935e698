// Reads image files as the metadata say: msseg/utils/image_loading.py does the same in Python.
#pragma once

#include <filesystem>

#include <opencv2/core.hpp>

#include "metadata.h"

namespace msseg {

struct LoadedImage {
  cv::Mat image;    // (h, w) of any number of channels, colours in BGR order; missing values filled
  cv::Mat no_data;  // (h, w), 255 for pixels without data; empty where all have some
};

// Throws UnusableInput for what cannot be read, is of a kind that OpenCV does not read whole, or
// has other channels than the model takes.
LoadedImage LoadImage(const std::filesystem::path &path, const Metadata &metadata);

}  // namespace msseg
