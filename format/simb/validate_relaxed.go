package simb

// Limits of the tree of boxes of a relaxed bound, so that walking it takes bounded time and memory.
const (
	mostNodes = 1 << nodeBits
	mostDepth = 512
	mostCut   = 254 // inputs below it can be cut: one byte tells a leaf and the input
)

// validateRelaxed checks that relaxed bounds go with the model, and that the tree is one.
func (m *Model) validateRelaxed() error {
	c := &m.Certificates
	if c.Relaxed == nil && c.RelaxedCalibrated == nil {
		return nil
	}
	if loops, _ := m.LoopStates(); loops > 0 {
		return corrupt("claims", -1, "relaxed bounds are for models without loops")
	}
	if c.RelaxedCalibrated != nil && c.RelaxedCalibrated.Tree != nil {
		return corrupt("relaxed.tree", -1, "the claim without saturation has none")
	}
	if c.Relaxed == nil {
		return nil
	}
	if n := len(c.Relaxed.Tree); n == 0 || n > mostNodes {
		return corrupt("relaxed.tree", -1, "%d nodes, there are 1 to %d", n, mostNodes)
	}
	return validTree(c.Relaxed.Tree, min(len(m.Inputs), mostCut))
}

// validTree checks that the nodes are one complete tree in preorder with cuts of the first inputs.
func validTree(tree []uint8, inputs int) error {
	open := []int{0} // depths of the nodes that have been announced, the next one last
	for k, cut := range tree {
		if len(open) == 0 {
			return corrupt("relaxed.tree", -1, "%d nodes follow the last leaf", len(tree)-k)
		}
		depth := open[len(open)-1]
		open = open[:len(open)-1]
		switch {
		case cut == 0:
			continue
		case int(cut) > inputs:
			return corrupt("relaxed.tree", -1, "node %d cuts input %d, there are %d that can be", k, cut-1, inputs)
		case depth == mostDepth:
			return corrupt("relaxed.tree", -1, "node %d is a cut below %d others", k, mostDepth)
		}
		open = append(open, depth+1, depth+1)
	}
	if len(open) > 0 {
		return corrupt("relaxed.tree", -1, "%d nodes are missing", len(open))
	}
	return nil
}
