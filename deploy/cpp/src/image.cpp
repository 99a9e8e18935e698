#include "image.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <opencv2/imgproc.hpp>

#include "image_file.h"

namespace msseg {
namespace {

constexpr int64_t kMostPixels = int64_t{1} << 30;  // as cv::imread takes

std::string SizeText(const cv::Size &size) {
  return std::to_string(size.height) + "x" + std::to_string(size.width);
}

// Throws UnusableInput unless the model takes this size.
void CheckSize(const std::filesystem::path &path, const cv::Size &size, const Metadata &metadata) {
  if (static_cast<int64_t>(size.width) * size.height > kMostPixels) {
    throw UnusableInput("'" + path.string() + "': the model's metadata say to take it at " +
                        SizeText(size) + " (height x width), more than " +
                        std::to_string(kMostPixels) + " pixels");
  }
  const bool is_other_height = metadata.height != 0 && metadata.height != size.height;
  const bool is_other_width = metadata.width != 0 && metadata.width != size.width;
  if (is_other_height || is_other_width) {
    throw UnusableInput("'" + path.string() + "': the model takes images of " +
                        SizeText({metadata.width, metadata.height}) + " (height x width), got " +
                        SizeText(size));
  }
}

// A side keeps at least one pixel, and is no longer than `CheckSize` can judge.
int RoundedSide(double length) {
  return static_cast<int>(std::clamp(length + 0.5, 1.0, kLongestSide + 1.0));
}

// The size that an image is resized to before all else.
cv::Size SizeFor(const cv::Size &size, const Metadata &metadata) {
  const cv::Size scale = metadata.scale.empty()
                             ? cv::Size(RoundedSide(std::floor(size.width * metadata.ratio)),
                                        RoundedSide(std::floor(size.height * metadata.ratio)))
                             : metadata.scale;
  if (!metadata.keep_ratio) return scale;
  const auto [scale_short, scale_long] = std::minmax(scale.width, scale.height);
  const auto [size_short, size_long] = std::minmax(size.width, size.height);
  const double factor = std::min(static_cast<double>(scale_long) / size_long,
                                 static_cast<double>(scale_short) / size_short);
  return {RoundedSide(size.width * factor), RoundedSide(size.height * factor)};
}

// Returns (1, channels, h, w) float32. A byte has 256 values: one table look-up for each.
cv::Mat Normalized(const cv::Mat &image, const Metadata &metadata) {
  const int channels = image.channels();
  cv::Mat planes({1, channels, image.rows, image.cols}, CV_32F);
  for (int c = 0; c < channels; ++c) {
    // rounded to float after each step, as in training
    const auto normalized = [&](double value) {
      const float shifted = static_cast<float>(value - static_cast<double>(metadata.mean[c]));
      return static_cast<float>(shifted * (1 / static_cast<double>(metadata.std[c])));
    };
    cv::Mat channel;
    cv::extractChannel(image, channel, metadata.to_rgb ? channels - 1 - c : c);
    cv::Mat plane(image.size(), CV_32F, planes.ptr<float>(0, c));
    if (image.depth() == CV_8U) {
      cv::Mat table(1, 256, CV_32F);
      for (int value = 0; value < 256; ++value) table.at<float>(value) = normalized(value);
      cv::LUT(channel, table, plane);
      continue;
    }
    channel.convertTo(channel, CV_32F);
    for (int y = 0; y < channel.rows; ++y) {
      const float *from = channel.ptr<float>(y);
      std::transform(from, from + channel.cols, plane.ptr<float>(y), normalized);
    }
  }
  return planes;
}

// Resizes the rows of a plane so that the first and the last stay where they are.
cv::Mat RowsWithCornersKept(const cv::Mat &plane, int count) {
  cv::Mat resized(count, plane.cols, CV_32F);
  for (int row = 0; row < count; ++row) {
    const double position = count == 1 ? 0 : row * (plane.rows - 1.0) / (count - 1);
    const int low = std::min(static_cast<int>(position), std::max(plane.rows - 2, 0));
    const int high = std::min(low + 1, plane.rows - 1);
    const double share = position - low;
    cv::addWeighted(plane.row(low), 1 - share, plane.row(high), share, 0, resized.row(row));
  }
  return resized;
}

cv::Mat PlaneOfSize(const cv::Mat &plane, const cv::Size &size, bool align_corners) {
  if (plane.size() == size) return plane;
  cv::Mat resized;
  if (align_corners) {
    cv::Mat columns = RowsWithCornersKept(plane, size.height).t();
    resized = RowsWithCornersKept(columns, size.width).t();
  } else {
    cv::resize(plane, resized, size, 0, 0, cv::INTER_LINEAR);
  }
  return resized;
}

cv::Mat LabelsOfLogits(const cv::Mat &output, const cv::Size &size, const Metadata &metadata) {
  const int num_channels = output.size[1];
  const auto plane_of = [&](int c) {
    const cv::Mat plane(output.size[2], output.size[3], CV_32F,
                        const_cast<float *>(output.ptr<float>(0, c)));
    return PlaneOfSize(plane, size, metadata.align_corners);
  };
  cv::Mat labels = cv::Mat::zeros(size, CV_32S);
  cv::Mat best = plane_of(0);
  if (num_channels == 1) {
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        labels.at<int>(y, x) = 1 / (1 + std::exp(-best.at<float>(y, x))) > metadata.threshold;
      }
    }
    return labels;
  }
  best = best.clone();
  for (int c = 1; c < num_channels; ++c) {
    const cv::Mat plane = plane_of(c);
    const cv::Mat is_better = plane > best;  // the first of equals stays
    plane.copyTo(best, is_better);
    labels.setTo(c, is_better);
  }
  return labels;
}

}  // namespace

Prepared PrepareImage(const std::filesystem::path &path, const Metadata &metadata) {
  LoadedImage loaded = LoadImage(path, metadata);
  cv::Mat image = loaded.image;
  const cv::Size own_size = image.size();
  const cv::Size size = SizeFor(own_size, metadata);
  CheckSize(path, size, metadata);
  if (size != own_size) {
    cv::Mat resized;
    cv::resize(image, resized, size, 0, 0, cv::INTER_LINEAR);
    image = resized;
  }
  if (!metadata.normalizes_itself) {
    return {Normalized(image, metadata), own_size, loaded.no_data};
  }
  if (image.depth() != CV_8U) {
    throw UnusableInput("'" + path.string() + "': the model takes bytes, and this image has other "
                        "values: export it without --include-preprocessing");
  }
  const int channels = image.channels();
  if (metadata.is_nhwc) {
    const cv::Mat input = image.reshape(1, {1, image.rows, image.cols, channels});
    return {input, own_size, loaded.no_data};
  }
  cv::Mat planes({1, channels, image.rows, image.cols}, CV_8U);
  for (int c = 0; c < channels; ++c) {
    cv::Mat plane(image.size(), CV_8U, planes.ptr(0, c));
    cv::extractChannel(image, plane, c);
  }
  return {planes, own_size, loaded.no_data};
}

Prepared ReadPrepared(const Input &input, const Metadata &metadata) {
  if (metadata.normalizes_itself || input.shape.size() != 4) {
    throw std::runtime_error(
        "prepared inputs are normalised, but the model normalises by itself: export it without "
        "--include-preprocessing");
  }
  CheckSize(input.path, {input.shape[3], input.shape[2]}, metadata);
  if (static_cast<size_t>(input.shape[1]) != metadata.mean.size()) {
    throw UnusableInput("'" + input.path.string() + "': the model takes " +
                        std::to_string(metadata.mean.size()) + " channels, inputs.json says " +
                        std::to_string(input.shape[1]));
  }
  std::vector<unsigned char> bytes;
  try {
    bytes = ReadBytes(input.path);
  } catch (const std::runtime_error &error) {
    throw UnusableInput(error.what());
  }
  size_t num_bytes = sizeof(float);
  for (const int length : input.shape) num_bytes *= static_cast<size_t>(length);
  if (bytes.size() != num_bytes) {
    throw UnusableInput("'" + input.path.string() + "' has " + std::to_string(bytes.size()) +
                        " bytes, but inputs.json says " + std::to_string(num_bytes));
  }
  cv::Mat array(input.shape, CV_32F);
  std::memcpy(array.data, bytes.data(), bytes.size());
  return {array, {}, {}};
}

cv::Mat LabelsOf(const cv::Mat &output, const cv::Size &size, const Metadata &metadata) {
  const int wanted_dims = metadata.gives_labels ? 3 : 4;
  if (output.dims != wanted_dims || output.size[0] != 1 || output.total() == 0) {
    throw std::runtime_error("the model gave an output of " + std::to_string(output.dims) +
                             " axes for one image, its metadata say " +
                             std::to_string(wanted_dims));
  }
  if (!metadata.gives_labels) return LabelsOfLogits(output, size, metadata);
  cv::Mat labels;
  cv::Mat(output.size[1], output.size[2], output.type(), output.data).convertTo(labels, CV_32S);
  if (labels.size() != size) {
    // cv::resize takes no integers of 32 bits; classes are exact in float
    labels.convertTo(labels, CV_32F);
    cv::resize(labels, labels, size, 0, 0, cv::INTER_NEAREST);
    labels.convertTo(labels, CV_32S);
  }
  return labels;
}

}  // namespace msseg
