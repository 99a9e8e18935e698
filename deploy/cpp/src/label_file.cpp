#include "label_file.h"

#include <png.h>

#include <cstring>
#include <stdexcept>

#include <opencv2/imgcodecs.hpp>

#include "outputs.h"

namespace msseg {
namespace {

namespace fs = std::filesystem;

constexpr int kMostColours = 256;

// Encodes with libpng, as OpenCV writes no palettes.
std::vector<uint8_t> EncodeWithPalette(const cv::Mat &labels, const std::vector<uint8_t> &palette) {
  png_image image;
  std::memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(labels.cols);
  image.height = static_cast<png_uint_32>(labels.rows);
  image.format = PNG_FORMAT_RGB_COLORMAP;
  image.colormap_entries = static_cast<png_uint_32>(palette.size() / 3);
  png_alloc_size_t num_bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<uint8_t> file(num_bytes);
  if (!png_image_write_to_memory(&image, file.data(), &num_bytes, 0, labels.data, 0,
                                 palette.data())) {
    throw std::runtime_error(std::string("libpng: ") + image.message);
  }
  file.resize(num_bytes);
  return file;
}

std::vector<uint8_t> Encode(const cv::Mat &labels, const cv::Mat &no_data, int num_classes,
                            std::vector<uint8_t> palette) {
  double lowest = 0;
  double highest = 0;
  cv::minMaxLoc(labels, &lowest, &highest);
  if (lowest < 0 || highest >= num_classes) {
    throw std::runtime_error("the model gave labels " + std::to_string(static_cast<int>(lowest)) +
                             " to " + std::to_string(static_cast<int>(highest)) +
                             ", but it has " + std::to_string(num_classes) + " classes");
  }
  // a pixel without data has a label that no class has
  const int most = no_data.empty() ? kMostColours : kMostColours - 1;
  cv::Mat indices;
  labels.convertTo(indices, num_classes <= most ? CV_8U : CV_16U);
  if (!no_data.empty()) {
    indices.setTo(num_classes <= most ? 255 : 65535, no_data);
    if (!palette.empty()) palette.resize(3 * kMostColours, 255);
  }
  if (num_classes <= most && !palette.empty()) return EncodeWithPalette(indices, palette);
  std::vector<uint8_t> file;
  cv::imencode(".png", indices, file);
  return file;
}

}  // namespace

void WriteLabels(const fs::path &path, const cv::Mat &labels, const cv::Mat &no_data,
                 int num_classes, const std::vector<uint8_t> &palette) {
  const std::vector<uint8_t> file = MarkPng(Encode(labels, no_data, num_classes, palette));
  WriteBytes(path, file.data(), file.size());
}

}  // namespace msseg
