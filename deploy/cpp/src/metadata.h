// What an exported file says about itself: msseg/deploy/metadata.py is the other side of this.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <opencv2/core.hpp>

namespace msseg {

// How image files are loaded.
struct Loading {
  std::string color_type = "color";
  std::optional<double> max_value;                       // becomes 255
  std::optional<std::pair<double, double>> percentiles;  // become 0 and 255
  std::vector<int> bands;                                // from 1; empty for all
  bool reads_tag = true;         // what is no data stands in the tag of a GeoTIFF
  std::optional<double> nodata;  // else it is this value
  bool takes_any = true;         // a pixel lacks data where any channel does, not all
  std::vector<double> fill = {0};
};

struct Metadata {
  // The input: its layout, and its size where it is fixed (0 where any will do).
  bool is_nhwc = false;
  int batch = 0;
  int height = 0;
  int width = 0;

  // What is done to an image.
  Loading loading;
  bool normalizes_itself = false;  // the file then takes the image as it is
  bool to_rgb = false;
  std::vector<float> mean;  // of each channel
  std::vector<float> std;
  cv::Size scale;  // what the image is first resized into; empty: by `ratio`
  double ratio = 1.0;
  bool keep_ratio = true;

  // The output.
  bool gives_labels = false;
  bool align_corners = false;
  float threshold = 0.5F;  // for one channel: the probability above which a pixel is class 1
  int num_classes = 0;
  std::vector<uint8_t> palette;  // RGB, three bytes a class
};

// Reads a model's metadata: from `file` (.onnx or .json); where that is empty from the model, an
// ONNX file, or from the FILE.json beside another. Throws std::runtime_error where there are none,
// and for a model that is not of the length that is said beside it.
Metadata ReadMetadata(const std::string &model, const std::string &file);

}  // namespace msseg
