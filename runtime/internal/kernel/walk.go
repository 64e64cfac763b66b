package kernel

import "slices"

// Walk reads all rows in order and calls visit for each, with its columns in ascending order and their
// weights. The slices are visit's until it returns. It is for what is prepared once, never for an inference.
func (s *Streams) Walk(p *Program, visit func(i int, columns, weights []int32)) {
	var columns, weights []int32
	var at cursor
	for i := range p.Rows {
		row := s.row(&at, &p.Rows[i])
		columns, weights = slices.Grow(columns[:0], row.length), slices.Grow(weights[:0], row.length)
		for row.next() {
			columns, weights = append(columns, int32(row.column)), append(weights, row.weight)
		}
		visit(i, columns, weights)
	}
}
