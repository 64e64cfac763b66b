package teacher

// Classes returns the class of every sample: the index of its largest output, the lowest of equals.
// outputs is sample-major, samples × width.
func Classes(outputs []float32, width int) []int {
	classes := make([]int, len(outputs)/width)
	for s := range classes {
		row := outputs[s*width : (s+1)*width]
		for i, v := range row {
			if v > row[classes[s]] {
				classes[s] = i
			}
		}
	}
	return classes
}

// Accuracy returns the share of predictions that equal their label, in [0, 1]; 0 without samples.
func Accuracy(predicted []int, labels []int32) float64 {
	if len(labels) == 0 {
		return 0
	}
	right := 0
	for s, label := range labels {
		if predicted[s] == int(label) {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}

// Recalls returns, for each of so many classes, the share of its samples that were recognised, in
// [0, 1]; 0 for a class without samples. Labels are below classes.
func Recalls(predicted []int, labels []int32, classes int) []float64 {
	right, all := make([]int, classes), make([]int, classes)
	for s, label := range labels {
		all[label]++
		if predicted[s] == int(label) {
			right[label]++
		}
	}
	recalls := make([]float64, classes)
	for k := range recalls {
		if all[k] > 0 {
			recalls[k] = float64(right[k]) / float64(all[k])
		}
	}
	return recalls
}

// R2 returns the coefficient of determination, 1 − Σ(y−t)²/Σ(t−mean t)², averaged over the columns.
// Both slices are sample-major, samples × width. A column whose targets are all equal counts 1 when it
// is met exactly and 0 otherwise.
func R2(outputs, targets []float32, width int) float64 {
	if len(targets) == 0 {
		return 0
	}
	samples := len(targets) / width
	total := 0.0
	for k := range width {
		mean := 0.0
		for s := range samples {
			mean += float64(targets[s*width+k])
		}
		mean /= float64(samples)
		missed, spread := 0.0, 0.0
		for s := range samples {
			t := float64(targets[s*width+k])
			miss := float64(outputs[s*width+k]) - t
			missed += float64(miss * miss)
			spread += float64((t - mean) * (t - mean))
		}
		switch {
		case spread > 0:
			total += 1 - missed/spread
		case missed == 0:
			total++
		}
	}
	return total / float64(width)
}
