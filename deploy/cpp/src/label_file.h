// Label maps as PNG files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

namespace msseg {

// Writes labels, CV_32S (h, w), as a PNG of indices: with a palette (RGB bytes, three a class), or
// grey when it is empty; of 16 bits for more than 256 classes. Where `no_data` (h, w), which may be
// empty, is not 0, the file has 255, with more than 255 classes 65535. The file appears whole or
// not at all. Throws as `WriteBytes`.
void WriteLabels(const std::filesystem::path &path, const cv::Mat &labels, const cv::Mat &no_data,
                 int num_classes, const std::vector<uint8_t> &palette);

}  // namespace msseg
