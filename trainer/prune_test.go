package trainer

import "testing"

// Every budget of one plan: as many numbers as asked for, and no state that nothing reads.
func TestRemovalsKeepABudgetOfNumbersInUse(t *testing.T) {
	network, u := randomNetwork(3, []int{20, 16, 10, 4}, 800)
	f := newFitter(t, mustSource(t, network, u), Options{NNZ: 20, Task: Regression})
	solved, err := f.solveAt(1e-3, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := f.planRemovals(f.draftOf(solved.rows), 20)
	if err != nil {
		t.Fatal(err)
	}
	for budget := 400; budget >= 20; budget -= 19 {
		supports := plan.keep(f, budget)
		total, read := 0, make([]bool, len(supports))
		for _, support := range supports {
			if support != nil {
				total += len(support) + 1
			}
			for _, j := range support {
				if int(j) < f.states() {
					read[j] = true
				}
			}
		}
		// One removal takes a whole state at most.
		if total > budget || total < budget-40 {
			t.Errorf("budget %d: %d numbers", budget, total)
		}
		for i, support := range supports[:f.states()] {
			if (support != nil) != read[i] || support != nil && len(support) == 0 {
				t.Errorf("budget %d: state %d has %d weights, read: %v", budget, i, len(support), read[i])
			}
		}
	}
}
