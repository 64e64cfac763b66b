package simb

func (m *Model) validateCertificates() error {
	c, n, q := &m.Certificates, m.States(), m.Outputs()
	witness := n // length of what may be derived
	if c.Derived {
		witness = 0
		if loops, _ := m.LoopStates(); loops > 0 || c.V != nil || c.ReachLo != nil || c.ReachHi != nil || c.Box == nil && c.Calibrated == nil && c.Lipschitz == nil {
			return corrupt("claims", -1, "derived witnesses are for models without loops that claim something and store none")
		}
	}
	vector := func(name string, values []float32, length int, signed bool) error {
		if len(values) != length {
			return corrupt(name, -1, "%d numbers, the model needs %d", len(values), length)
		}
		for k, v := range values {
			if !finite(v) || v < 0 && !signed {
				return corrupt(name, -1, "number %d is %g", k, v)
			}
		}
		return nil
	}
	type part struct {
		name   string
		values []float32
		length int
		signed bool
	}
	var parts []part
	if c.V != nil || c.VResidual != nil || c.Kappa != 0 {
		parts = append(parts, part{"well_posed.kappa", []float32{c.Kappa}, 1, false}, part{"well_posed.v", c.V, n, false}, part{"well_posed.residual", c.VResidual, n, false})
	}
	if c.ReachLo != nil || c.ReachHi != nil {
		parts = append(parts, part{"reach.lo", c.ReachLo, n, true}, part{"reach.hi", c.ReachHi, n, true})
	}
	for _, claim := range []struct {
		name string
		e    *ErrorCertificate
	}{{"box", c.Box}, {"calibrated", c.Calibrated}} {
		if e := claim.e; e != nil {
			parts = append(parts, part{claim.name + ".state", e.State, witness, false}, part{claim.name + ".residual", e.Residual, n + q, false},
				part{claim.name + ".start", e.Start, witness, false}, part{claim.name + ".output", e.Output, q, false})
		}
	}
	if c.Lipschitz != nil || c.Gain != nil || c.GainResidual != nil {
		parts = append(parts, part{"lipschitz.output", c.Lipschitz, q, false}, part{"lipschitz.gain", c.Gain, witness, false}, part{"lipschitz.residual", c.GainResidual, n + q, false})
	}
	if err := m.validateRelaxed(); err != nil {
		return err
	}
	for _, claim := range []struct {
		name string
		e    *RelaxedCertificate
	}{{"relaxed.", c.Relaxed}, {"relaxed.calibrated_", c.RelaxedCalibrated}} {
		if e := claim.e; e != nil {
			parts = append(parts, part{claim.name + "output", e.Output, q, false}, part{claim.name + "realised", e.Realised, q, false})
		}
	}
	for _, p := range parts {
		if err := vector(p.name, p.values, p.length, p.signed); err != nil {
			return err
		}
	}
	for i := range c.ReachLo {
		if c.ReachLo[i] > c.ReachHi[i] {
			return corrupt("reach.hi", -1, "state %d: [%g, %g] is not a range", i, c.ReachLo[i], c.ReachHi[i])
		}
	}
	return nil
}
